"""The HTTP interface as an OpenAPI 3.1 document, built from plain data: limits and codes come from the code that checks them."""
