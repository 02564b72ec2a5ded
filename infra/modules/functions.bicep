// The function app: Flex Consumption, Python 3.13, no key of any kind. Its code comes by `azd deploy functions`.

param location string
param tags object
param name string
param planName string
param identityName string
param storageAccountName string
param packageContainer string
param applicationInsightsName string

@description('Subnet for outgoing traffic; empty: the platform\'s own network.')
param subnetId string

@description('MB of one instance.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int

// Not for speed only: the first event after a cold start may be refused.
@description('Instances always running for HTTP (callbacks of ACS), and for incoming_call.')
@minValue(1)
param alwaysReadyInstances int

@minValue(40)
@maxValue(1000)
param maximumInstanceCount int

@description('Public base address of the media host, wss://…')
param mediaBase string

@description('Settings that are not secret, by name: what shared/settings.py reads and this file does not know.')
param settings object

@description('What `env:` references of patchcord.yaml name; values may be @Microsoft.KeyVault(SecretUri=…).')
@secure()
param operatorSettings object

var blobEndpoint = 'https://${storageAccountName}.blob.${environment().suffixes.storage}'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, {
    'azd-service-name': 'functions'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identity.id
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}/${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
          {
            name: 'function:incoming_call'
            instanceCount: alwaysReadyInstances
          }
        ]
        triggers: {
          http: {
            perInstanceConcurrency: 100
          }
        }
      }
    }
  }
}

// Publishing is done with an identity; user names and passwords are off.
resource passwords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = [for way in ['ftp', 'scm']: {
  parent: site
  name: way
  properties: {
    allow: false
  }
}]

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(operatorSettings, settings, {
    PATCHCORD_CONFIG: 'patchcord.yaml'
    PATCHCORD_LOG_FORMAT: 'json'
    PATCHCORD_EVENTS_KEY: ''
    ALLOW_INSECURE_LOCAL: 'false'
    AZURE_ACS_CONN_KEY: ''
    ACS_JWT: 'require'
    ACS_JWT_ISSUER: 'https://acscallautomation.communication.azure.com'
    ACS_JWKS_URL: 'https://acscallautomation.communication.azure.com/calling/keys'
    // As long as Event Grid tries: an older event is of a caller who has hung up.
    INCOMING_CALL_MAX_AGE_S: '60'
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identity.properties.clientId
    AzureWebJobsStorage__blobServiceUri: blobEndpoint
    AzureWebJobsStorage__tableServiceUri: 'https://${storageAccountName}.table.${environment().suffixes.storage}'
    APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
    AZURE_CLIENT_ID: identity.properties.clientId
    CALLBACK_EVENTS_URI: 'https://${site.properties.defaultHostName}'
    CALLBACK_URI_HOST: mediaBase
  })
}

output siteId string = site.id
output base string = 'https://${site.properties.defaultHostName}'
