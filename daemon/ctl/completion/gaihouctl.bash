# SPDX-License-Identifier: Apache-2.0
_gaihouctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words
    case $prev in
    --socket | --token-file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    alerts) words="list show watch history orphaned tests" ;;
    --state) words="open closed any" ;;
    --severity) words="critical major minor warning info" ;;
    devices) words="list show silent audit" ;;
    profile) words="list test new unknown" ;;
    quarantine) words="list show adopt purge" ;;
    dead) words="list show replay purge" ;;
    journal) words="info verify dump export replay" ;;
    rules) words="check test backtest explain" ;;
    *) words="status top alerts devices compounds quarantine dead ledger journal decode profile rules reload version help
        ack accept arrive resolve confirm feedback close reject transfer rework reset shelve unshelve
        test untest
        --socket --url --token-file --json" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _gaihouctl gaihouctl
