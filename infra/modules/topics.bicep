// The sources of events: our ACS resource and our vault. First pass; who listens comes in the second (../events.bicep).

import { roleIds } from 'roles.bicep'

param location string
param tags object
param acsTopicName string
param acsName string
param vaultTopicName string
param vaultName string
param storageAccountName string
param deadLetterContainer string
param workspaceId string

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: acsName
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: blobs
  name: deadLetterContainer
}

resource calls 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: acsTopicName
  location: 'global'
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: acs.id
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

resource secrets 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: vaultTopicName
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

// The account takes no keys, so the topics write their dead letters with identities of their own: to that container only.
resource callsWrite 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, calls.id, roleIds.storageBlobDataContributor)
  scope: container
  properties: {
    principalId: calls.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageBlobDataContributor)
  }
}

resource secretsWrite 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, secrets.id, roleIds.storageBlobDataContributor)
  scope: container
  properties: {
    principalId: secrets.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageBlobDataContributor)
  }
}

// Each delivery that failed, with Event Grid's reason: the workbook shows them.
resource failures 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'delivery-failures'
  scope: calls
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'DeliveryFailures'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output callsTopicId string = calls.id
