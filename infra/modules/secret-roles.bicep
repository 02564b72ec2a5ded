// Who may do what with which secret. Deployed with the media host, because the secrets exist only after the post-provision hook.
// The media host never gets at the private signing keys.

import { roleIds } from 'roles.bicep'

param vaultName string
param signingSecretName string
param verificationSecretName string
param functionsPrincipalId string
param mediaPrincipalId string

@description('Names of other secrets that patchcord.yaml refers to (keys of agents, of Twilio): both processes may read them.')
param operatorSecretNames array

var readers = [
  functionsPrincipalId
  mediaPrincipalId
]
var reads = flatten(map(operatorSecretNames, secret => map(readers, reader => {
  secret: secret
  principalId: reader
})))

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource signing 'Microsoft.KeyVault/vaults/secrets@2025-05-01' existing = {
  parent: vault
  name: signingSecretName
}

resource verification 'Microsoft.KeyVault/vaults/secrets@2025-05-01' existing = {
  parent: vault
  name: verificationSecretName
}

// Rotation writes new versions of both.
resource signs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(signing.id, functionsPrincipalId, roleIds.keyVaultSecretsOfficer)
  scope: signing
  properties: {
    principalId: functionsPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.keyVaultSecretsOfficer)
  }
}

resource publishes 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(verification.id, functionsPrincipalId, roleIds.keyVaultSecretsOfficer)
  scope: verification
  properties: {
    principalId: functionsPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.keyVaultSecretsOfficer)
  }
}

resource verifies 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(verification.id, mediaPrincipalId, roleIds.keyVaultSecretsUser)
  scope: verification
  properties: {
    principalId: mediaPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.keyVaultSecretsUser)
  }
}

resource others 'Microsoft.KeyVault/vaults/secrets@2025-05-01' existing = [for read in reads: {
  parent: vault
  name: read.secret
}]

resource readsOthers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (read, i) in reads: {
  name: guid(others[i].id, read.principalId, roleIds.keyVaultSecretsUser)
  scope: others[i]
  properties: {
    principalId: read.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.keyVaultSecretsUser)
  }
}]
