// Optional: the service behind the realtime agents, with its models. patchcord.yaml names the endpoint and the deployment.

import { agentService, modelDeployment } from 'types.bicep'
import { roleIds } from 'roles.bicep'

param location string
param tags object
param name string

@description('openAI or foundry.')
param service agentService
param deployments modelDeployment[]

@description('The media host\'s identity: talks to the models.')
param mediaPrincipalId string

@description('The ACS resource\'s own identity: speaks the texts of menus and notices (foundry only).')
param acsPrincipalId string

// Voice Live is part of AI Services and asks for the wider role.
var users = service == 'foundry' ? [mediaPrincipalId, acsPrincipalId] : []

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: service == 'foundry' ? 'AIServices' : 'OpenAI'
  sku: {
    name: 'S0'
  }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
  }
}

// One after the other: the service refuses two at once.
@batchSize(1)
resource models 'Microsoft.CognitiveServices/accounts/deployments@2025-06-01' = [for item in deployments: {
  parent: account
  name: item.name
  sku: {
    name: item.sku
    capacity: item.capacity
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: item.model
      version: item.version
    }
    versionUpgradeOption: 'NoAutoUpgrade'
  }
}]

resource talks 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, mediaPrincipalId, roleIds.cognitiveServicesOpenAiUser)
  scope: account
  properties: {
    principalId: mediaPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.cognitiveServicesOpenAiUser)
  }
}

resource uses 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in users: {
  name: guid(account.id, principalId, roleIds.cognitiveServicesUser)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.cognitiveServicesUser)
  }
}]

output endpoint string = account.properties.endpoint
