"""The only place where an SDK is imported. Each adapter fulfils a port and translates every foreign exception."""
