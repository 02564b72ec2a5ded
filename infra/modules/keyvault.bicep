// The vault. Nothing secret is put in by Bicep: a deployment's history would keep it. The post-provision hook makes the keys.

import { principalKind } from 'types.bicep'
import { roleIds } from 'roles.bicep'

param location string
param tags object
param name string

@description('Whoever deploys: makes the first keys. Empty: nobody.')
param operatorPrincipalId string
param operatorPrincipalType principalKind

@description('Only networks of ours may reach it, and these addresses.')
param closed bool
param operatorAddresses array

@description('A deleted vault cannot be purged for 90 days, nor its name be used again. Right for production; `azd down --purge` cannot undo it.')
param purgeProtection bool

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    // The service takes true or nothing: protection cannot be taken back.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
      ipRules: [for address in operatorAddresses: {
        value: address
      }]
    }
  }
}

resource operator 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  name: guid(vault.id, operatorPrincipalId, roleIds.keyVaultSecretsOfficer)
  scope: vault
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.keyVaultSecretsOfficer)
  }
}

output vaultId string = vault.id
output vaultUri string = vault.properties.vaultUri
