// The telephone side. Numbers are bought in the portal or with `az communication phonenumber`: no template can.

import { roleIds } from 'roles.bicep'

param name string
param tags object

@description('Where ACS keeps data at rest, such as Europe or United States. It cannot be changed later.')
param dataLocation string

@description('Principals that answer, move and end calls.')
param callerPrincipalIds array

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' = {
  name: name
  location: 'global'
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    dataLocation: dataLocation
    disableLocalAuth: true
  }
}

// A narrower built-in role is not known to work with Call Automation (functions.md 4.1).
resource callers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in callerPrincipalIds: {
  name: guid(acs.id, principalId, roleIds.contributor)
  scope: acs
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.contributor)
  }
}]

output acsId string = acs.id
output principalId string = acs.identity.principalId
output endpoint string = 'https://${acs.properties.hostName}'
output immutableId string = acs.properties.immutableResourceId
