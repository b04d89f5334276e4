"""What users hold in their hands: frozen values, Decimal amounts, aware UTC times."""
