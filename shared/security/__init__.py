"""Who may come in: tokens, keys, ACS's own signatures and tenants' API credentials."""
