"""Built-in roles: their ids by name, and who may have which.

The ids were compared with what public repositories and Microsoft's list of built-in roles call by these names (November 2026).
"""

KNOWN = {
    "acrPull": ("AcrPull", "7f951dda-4ed3-4680-a7ca-43fe172d538d"),
    "cognitiveServicesOpenAiUser": ("Cognitive Services OpenAI User", "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"),
    "cognitiveServicesUser": ("Cognitive Services User", "a97b65f3-24c7-4388-baec-2e87135dc908"),
    "contributor": ("Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c"),
    "eventGridDataSender": ("EventGrid Data Sender", "d5a91429-5739-47e2-a06b-3470a27159e7"),
    "keyVaultSecretsOfficer": ("Key Vault Secrets Officer", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"),
    "keyVaultSecretsUser": ("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6"),
    "logAnalyticsReader": ("Log Analytics Reader", "73c42c96-874c-492b-b04d-ab87d138a893"),
    "monitoringMetricsPublisher": ("Monitoring Metrics Publisher", "3913510d-42f4-4e42-8a64-420c390055eb"),
    "storageBlobDataContributor": ("Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
    "storageBlobDataOwner": ("Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
    "storageTableDataContributor": ("Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"),
}
"""Role id and Azure's name, by the name in `infra/modules/roles.bicep`."""

ASSIGNED = {
    ("modules/secret-roles.bicep", "signing", "functionsPrincipalId", "keyVaultSecretsOfficer"),
    ("modules/secret-roles.bicep", "verification", "functionsPrincipalId", "keyVaultSecretsOfficer"),
    ("modules/secret-roles.bicep", "verification", "mediaPrincipalId", "keyVaultSecretsUser"),
    ("modules/secret-roles.bicep", "others[i]", "read.principalId", "keyVaultSecretsUser"),
    ("modules/keyvault.bicep", "vault", "operatorPrincipalId", "keyVaultSecretsOfficer"),
    ("modules/storage.bicep", "account", "functionsPrincipalId", "storageBlobDataOwner"),
    ("modules/storage.bicep", "account", "principalId", "storageTableDataContributor"),
    ("modules/storage.bicep", "account", "operatorPrincipalId", "storageTableDataContributor"),
    ("modules/topics.bicep", "container", "calls.identity.principalId", "storageBlobDataContributor"),
    ("modules/topics.bicep", "container", "secrets.identity.principalId", "storageBlobDataContributor"),
    ("modules/acs.bicep", "acs", "principalId", "contributor"),
    ("modules/topic.bicep", "topic", "principalId", "eventGridDataSender"),
    ("modules/containers.bicep", "registry", "pullPrincipalId", "acrPull"),
    ("modules/monitoring.bicep", "component", "principalId", "monitoringMetricsPublisher"),
    ("modules/monitoring.bicep", "workspace", "readerPrincipalId", "logAnalyticsReader"),
    ("modules/ai.bicep", "account", "mediaPrincipalId", "cognitiveServicesOpenAiUser"),
    ("modules/ai.bicep", "account", "principalId", "cognitiveServicesUser"),
}
"""Every assignment there is: file, scope, principal, role. A new one is a decision, so it is written down here."""
