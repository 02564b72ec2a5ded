"""What runs in Azure, as Bicep; and `hooks`, the steps around it that no template can do."""
