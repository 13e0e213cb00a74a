# io/mqtt_diagnose asks OpenSSL itself why a handshake fails.
LIBS += -lssl
