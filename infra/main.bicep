// Everything but the media host's container (media.bicep) and the event subscriptions (events.bicep, second pass).
// `azd up` runs it; alone: az deployment sub create -l REGION -f infra/main.bicep -p environmentName=NAME location=REGION dataLocation=…
targetScope = 'subscription'

import { agentService, mediaScaling, modelDeployment, principalKind } from 'modules/types.bicep'

@description('Short name of this deployment, such as sandbox or production; it stands in every call\'s record.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Azure region of everything that has one. Flex Consumption must be there.')
param location string

@description('Resource group to make; empty: rg-ENVIRONMENT.')
param resourceGroupName string = ''

@description('Where ACS keeps data at rest, such as Europe or United States. It cannot be changed later.')
param dataLocation string

@description('Our numbers, E.164, comma-separated. The first one is the caller id of outbound calls.')
param phoneNumbers string = ''

@description('Kinds of dialled address to take, comma-separated: phoneNumber, communicationUser. Empty: all.')
param addressKinds string = ''

@description('Our own ACS identity (8:acs:…), made by the post-deploy hook.')
param agentIdentity string = ''

@description('Second pass: subscribe to events. The function code must be deployed by then.')
param wireEvents bool = false

@description('Whoever deploys: may make keys and issue credentials. Empty: nobody.')
param operatorPrincipalId string = ''
param operatorPrincipalType principalKind = 'User'

@description('IPv4 addresses that reach vault and storage from outside when they are closed, comma-separated.')
param operatorAddresses string = ''

@description('A network of our own, with private endpoints for storage and vault.')
param privateNetwork bool = false
param addressPrefix string = '10.20.0.0/16'

@description('Media hosts in several availability zones; needs privateNetwork.')
param zoneRedundant bool = false

@description('A deleted vault cannot be purged, nor its name be used again, for 90 days: production only.')
param purgeProtection bool = false
param storageSku string = 'Standard_LRS'
param logRetentionDays int = 30

@description('Function instances always running, of each of the two groups.')
@minValue(1)
param alwaysReadyInstances int = 1
param maximumInstanceCount int = 40

@description('How the media host scales (media.bicep): decides whether its identity may read metrics.')
param scaling mediaScaling = 'fixed'

@minValue(1)
param maxConcurrentCalls int = 100

param apiIdHeader string = 'api-id'
param apiSecretHeader string = 'api-secret'
param requireHeadersOnValidation bool = true

@description('Whether the paths of existing clients of the commercial gateway are served.')
param compatibleApi bool = true
param logLevel string = 'info'

@description('Where traces and metrics are sent besides Application Insights; empty: nowhere.')
param otlpEndpoint string = ''

@description('What `env:` references of patchcord.yaml name.')
@secure()
param operatorSettings object = {}

@description('Whether to make a service for realtime agents, and which.')
param agents agentService = 'none'

@description('Region of the models, if they are not offered in location.')
param agentLocation string = ''
param modelDeployments modelDeployment[] = [
  {
    name: 'gpt-realtime'
    model: 'gpt-realtime'
    version: '2025-08-28'
    sku: 'GlobalStandard'
    capacity: 10
  }
]

@description('Whom to tell about trouble and cost, e-mail addresses, comma-separated. Empty: no alerts.')
param alertEmails string = ''

@description('Monthly budget in the subscription\'s currency; 0: none.')
@minValue(0)
param budgetAmount int = 0

@description('First day of the budget\'s first month (yyyy-MM-01); empty: this month.')
param budgetStart string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var names = {
  acs: 'acs-${token}'
  acsTopic: 'acs-calls-${token}'
  ai: 'ai-${token}'
  containerEnvironment: 'cae-${token}'
  eventsTopic: 'outcomes-${token}'
  functionApp: 'func-${token}'
  functionsIdentity: 'id-functions-${token}'
  insights: 'appi-${token}'
  keyVault: 'kv-${token}'
  mediaApp: 'media-${token}'
  mediaIdentity: 'id-media-${token}'
  network: 'vnet-${token}'
  plan: 'plan-${token}'
  registry: 'cr${token}'
  storage: 'st${token}'
  vaultTopic: 'vault-secrets-${token}'
  workspace: 'log-${token}'
}
var signingSecret = 'patchcord-signing'
var verificationSecret = 'patchcord-verification'
var numbers = filter(map(split(phoneNumbers, ','), text => trim(text)), number => !empty(number))
var emails = filter(map(split(alertEmails, ','), text => trim(text)), address => !empty(address))
var addresses = filter(map(split(operatorAddresses, ','), text => trim(text)), address => !empty(address))

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    location: location
    tags: tags
    functionsName: names.functionsIdentity
    mediaName: names.mediaIdentity
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    location: location
    tags: tags
    workspaceName: names.workspace
    componentName: names.insights
    retentionDays: logRetentionDays
    senderPrincipalIds: [
      identity.outputs.functionsPrincipalId
      identity.outputs.mediaPrincipalId
    ]
    readerPrincipalId: scaling == 'activeCalls' ? identity.outputs.mediaPrincipalId : ''
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    location: location
    tags: tags
    name: names.network
    addressPrefix: addressPrefix
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    location: location
    tags: tags
    name: names.storage
    skuName: storageSku
    functionsPrincipalId: identity.outputs.functionsPrincipalId
    mediaPrincipalId: identity.outputs.mediaPrincipalId
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    closed: privateNetwork
    operatorAddresses: addresses
  }
}

module keyVault 'modules/keyvault.bicep' = {
  name: 'keyvault'
  scope: group
  params: {
    location: location
    tags: tags
    name: names.keyVault
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    closed: privateNetwork
    operatorAddresses: addresses
    purgeProtection: purgeProtection
  }
}

module endpoints 'modules/private-endpoints.bicep' = if (privateNetwork) {
  name: 'endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    storageAccountId: storage.outputs.accountId
    vaultId: keyVault.outputs.vaultId
    subnetId: privateNetwork ? network.outputs.endpointsSubnetId : ''
    networkId: privateNetwork ? network.outputs.networkId : ''
  }
}

module acs 'modules/acs.bicep' = {
  name: 'acs'
  scope: group
  params: {
    name: names.acs
    tags: tags
    dataLocation: dataLocation
    callerPrincipalIds: [
      identity.outputs.functionsPrincipalId
      identity.outputs.mediaPrincipalId
    ]
  }
}

module outcomes 'modules/topic.bicep' = {
  name: 'outcomes'
  scope: group
  params: {
    location: location
    tags: tags
    name: names.eventsTopic
    senderPrincipalIds: [
      identity.outputs.functionsPrincipalId
      identity.outputs.mediaPrincipalId
    ]
  }
}

module containers 'modules/containers.bicep' = {
  name: 'containers'
  scope: group
  params: {
    location: location
    tags: tags
    registryName: names.registry
    environmentName: names.containerEnvironment
    workspaceId: monitoring.outputs.workspaceId
    pullPrincipalId: identity.outputs.mediaPrincipalId
    subnetId: privateNetwork ? network.outputs.mediaSubnetId : ''
    zoneRedundant: zoneRedundant && privateNetwork
  }
}

module functions 'modules/functions.bicep' = {
  name: 'functions'
  scope: group
  params: {
    location: location
    tags: tags
    name: names.functionApp
    planName: names.plan
    identityName: names.functionsIdentity
    storageAccountName: names.storage
    packageContainer: storage.outputs.packageContainer
    applicationInsightsName: names.insights
    subnetId: privateNetwork ? network.outputs.functionsSubnetId : ''
    instanceMemoryMB: 2048
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstanceCount: maximumInstanceCount
    mediaBase: 'wss://${names.mediaApp}.${containers.outputs.defaultDomain}'
    operatorSettings: operatorSettings
    settings: {
      PATCHCORD_ENVIRONMENT: toLower(environmentName)
      PATCHCORD_STORE: storage.outputs.tableEndpoint
      PATCHCORD_SIGNING_KEYS: '${keyVault.outputs.vaultUri}secrets/${signingSecret}'
      PATCHCORD_VERIFICATION_KEYS: '${keyVault.outputs.vaultUri}secrets/${verificationSecret}'
      PATCHCORD_LOG_LEVEL: logLevel
      PATCHCORD_API_ID_HEADER: apiIdHeader
      PATCHCORD_API_SECRET_HEADER: apiSecretHeader
      PATCHCORD_COMPATIBLE_API: string(compatibleApi)
      PATCHCORD_EVENTS_TOPIC: outcomes.outputs.endpoint
      REQUIRE_HEADERS_ON_VALIDATION: string(requireHeadersOnValidation)
      MAX_CONCURRENT_CALLS: string(maxConcurrentCalls)
      ACS_ENDPOINT: acs.outputs.endpoint
      ACS_RESOURCE_ID: acs.outputs.immutableId
      ACS_PHONE_NUMBER: empty(numbers) ? '' : numbers[0]
      OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint
    }
  }
  dependsOn: [
    monitoring
  ]
}

module topics 'modules/topics.bicep' = {
  name: 'topics'
  scope: group
  params: {
    location: location
    tags: tags
    acsTopicName: names.acsTopic
    acsName: names.acs
    vaultTopicName: names.vaultTopic
    vaultName: names.keyVault
    storageAccountName: names.storage
    deadLetterContainer: storage.outputs.deadLetterContainer
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [
    acs
    keyVault
  ]
}

module events 'events.bicep' = if (wireEvents) {
  name: 'events'
  scope: group
  params: {
    functionAppName: names.functionApp
    acsTopicName: names.acsTopic
    vaultTopicName: names.vaultTopic
    storageAccountName: names.storage
    deadLetterContainer: storage.outputs.deadLetterContainer
    phoneNumbers: phoneNumbers
    agentIdentity: agentIdentity
    addressKinds: addressKinds
  }
  dependsOn: [
    functions
    topics
  ]
}

module ai 'modules/ai.bicep' = if (agents != 'none') {
  name: 'ai'
  scope: group
  params: {
    location: empty(agentLocation) ? location : agentLocation
    tags: tags
    name: names.ai
    service: agents
    deployments: modelDeployments
    mediaPrincipalId: identity.outputs.mediaPrincipalId
    acsPrincipalId: acs.outputs.principalId
  }
}

module operations 'modules/operations.bicep' = {
  name: 'operations'
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    callsTopicId: topics.outputs.callsTopicId
    emailAddresses: emails
    budgetAmount: budgetAmount
    budgetStart: budgetStart
  }
}

// azd keeps these as environment variables: the hooks and media.parameters.json read them. None of them is secret.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_KEY_VAULT_NAME string = names.keyVault
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = containers.outputs.registryEndpoint
output ACS_NAME string = names.acs
output ACS_ENDPOINT string = acs.outputs.endpoint
output ACS_RESOURCE_ID string = acs.outputs.immutableId
output ACS_TOPIC_NAME string = names.acsTopic
output AGENT_ENDPOINT string = agents != 'none' ? ai.outputs.endpoint : ''
output APPLICATIONINSIGHTS_NAME string = names.insights
output CALLBACK_EVENTS_URI string = functions.outputs.base
output CALLBACK_URI_HOST string = 'wss://${names.mediaApp}.${containers.outputs.defaultDomain}'
output CONTAINER_ENVIRONMENT_NAME string = names.containerEnvironment
output DEAD_LETTER_CONTAINER string = storage.outputs.deadLetterContainer
output EVENTS_TOPIC_NAME string = names.eventsTopic
output FUNCTION_APP_NAME string = names.functionApp
output FUNCTIONS_IDENTITY_NAME string = names.functionsIdentity
output LOG_WORKSPACE_NAME string = names.workspace
output MEDIA_APP_NAME string = names.mediaApp
output MEDIA_IDENTITY_NAME string = names.mediaIdentity
output PATCHCORD_EVENTS_TOPIC string = outcomes.outputs.endpoint
output PATCHCORD_SIGNING_KEYS string = '${keyVault.outputs.vaultUri}secrets/${signingSecret}'
output PATCHCORD_STORE string = storage.outputs.tableEndpoint
output PATCHCORD_VERIFICATION_KEYS string = '${keyVault.outputs.vaultUri}secrets/${verificationSecret}'
output STORAGE_ACCOUNT_NAME string = names.storage
output VAULT_TOPIC_NAME string = names.vaultTopic
