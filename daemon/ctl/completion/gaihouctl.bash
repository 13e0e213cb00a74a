# SPDX-License-Identifier: Apache-2.0
_gaihouctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words
    case $prev in
    --socket | --token-file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    devices) words="list show silent" ;;
    quarantine) words="list show adopt purge" ;;
    dead) words="list show replay purge" ;;
    journal) words="info verify dump export replay" ;;
    rules) words="check test backtest explain" ;;
    *) words="status top devices compounds quarantine dead ledger journal rules reload version help
        --socket --url --token-file --json" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _gaihouctl gaihouctl
