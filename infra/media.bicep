// The media host: `azd deploy media` (azd looks for infra/SERVICE.bicep), or alone:
//   az deployment group create -g GROUP -f infra/media.bicep -p imageName=REGISTRY/patchcord/media:TAG and the names below
// It is apart from main.bicep because the image exists only after the first build: so every revision has its own image, probes and grace.

import { mediaScaling } from 'modules/types.bicep'
import { metricNames } from 'modules/metrics.bicep'

param location string = resourceGroup().location

@description('The environment\'s name in azd; it stands in every call\'s record.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Set by azd: REGISTRY/NAME:TAG, or @sha256:…')
param imageName string

@description('Names as main.bicep made them.')
param mediaAppName string
param containerEnvironmentName string
param registryEndpoint string
param mediaIdentityName string
param functionsIdentityName string
param keyVaultName string
param acsName string
param storageAccountName string
param eventsTopicName string
param applicationInsightsName string
param workspaceName string

@description('vCPUs and memory of one replica; memory is twice the vCPUs on the Consumption profile.')
param cpu string = '2.0'
param memory string = '4Gi'

@description('Replicas: all of them with fixed scaling, the fewest with activeCalls.')
@minValue(1)
@maxValue(50)
param replicas int = 2

@description('fixed unless you accept that a scale-in moves calls to another replica in mid-sentence.')
param scaling mediaScaling = 'fixed'

@description('Most replicas, with activeCalls.')
@minValue(1)
@maxValue(1000)
param maxReplicas int = 50

@description('Calls at once of one replica; size it with `make bench`.')
@minValue(1)
@maxValue(10000)
param callsPerReplica int = 100

@description('Seconds between SIGTERM and SIGKILL. 600 is the most that is documented.')
@minValue(60)
@maxValue(600)
param graceSeconds int = 600

@description('Record calls of agents that say so. The files are lost with the replica, unless you fetch them.')
param recordings bool = false

@description('Calls at once of one tenant, unless patchcord.yaml says otherwise.')
@minValue(1)
param maxConcurrentCalls int = 100

@description('Where traces and metrics are sent besides Application Insights; empty: nowhere.')
param otlpEndpoint string = ''
param logLevel string = 'info'

@description('Secrets in the vault that patchcord.yaml refers to, comma-separated.')
param operatorSecretNames string = ''

@description('What `env:` references of patchcord.yaml name.')
@secure()
param operatorSettings object = {}

var port = 8080
var folder = '/recordings'
var extra = filter(items(operatorSettings), item => !empty(item.value))

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: mediaIdentityName
}

resource functionsIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: functionsIdentityName
}

resource hosts 'Microsoft.App/managedEnvironments@2025-07-01' existing = {
  name: containerEnvironmentName
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: keyVaultName
}

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: acsName
}

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: eventsTopicName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: workspaceName
}

module secretRoles 'modules/secret-roles.bicep' = {
  name: 'secret-roles'
  params: {
    vaultName: keyVaultName
    signingSecretName: 'patchcord-signing'
    verificationSecretName: 'patchcord-verification'
    functionsPrincipalId: functionsIdentity.properties.principalId
    mediaPrincipalId: identity.properties.principalId
    operatorSecretNames: empty(operatorSecretNames) ? [] : split(operatorSecretNames, ',')
  }
}

// Container Apps cannot be told how many sockets a replica holds: its http rule counts requests, and whether an open socket is one
// is not documented. So this rule asks for the number of calls that the hosts report. It needs a minute or two to see it.
var callsQuery = join([
  'AppMetrics'
  'where TimeGenerated > ago(5m) and Name == "${metricNames.active}"'
  'summarize arg_max(TimeGenerated, Sum, ItemCount) by AppRoleInstance'
  'summarize sum(Sum / ItemCount)'
], ' | ')
var callRules = [
  {
    name: 'active-calls'
    custom: {
      type: 'azure-log-analytics'
      identity: identity.id
      metadata: {
        tenantId: subscription().tenantId
        workspaceId: workspace.properties.customerId
        query: callsQuery
        threshold: string(max(1, callsPerReplica * 6 / 10))
      }
    }
  }
]

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: mediaAppName
  location: location
  tags: {
    'azd-env-name': environmentName
    'azd-service-name': 'media'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    environmentId: hosts.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      maxInactiveRevisions: 5
      ingress: {
        external: true
        targetPort: port
        // WebSockets ride on http. No sticky sessions: telephone services keep no cookies, and any replica takes any call.
        transport: 'http'
        allowInsecure: false
        stickySessions: {
          affinity: 'none'
        }
      }
      registries: [
        {
          server: registryEndpoint
          identity: identity.id
        }
      ]
      secrets: [for item in extra: {
        name: toLower(replace(item.key, '_', '-'))
        value: item.value
      }]
    }
    template: {
      terminationGracePeriodSeconds: graceSeconds
      containers: [
        {
          name: 'media'
          image: imageName
          resources: {
            cpu: json(cpu)
            memory: memory
          }
          env: concat(map(extra, item => {
            name: item.key
            secretRef: toLower(replace(item.key, '_', '-'))
          }), [
            {
              name: 'PATCHCORD_ENVIRONMENT'
              value: toLower(environmentName)
            }
            {
              name: 'PATCHCORD_CONFIG'
              value: 'patchcord.yaml'
            }
            {
              name: 'PATCHCORD_STORE'
              value: 'https://${storageAccountName}.table.${environment().suffixes.storage}'
            }
            {
              name: 'PATCHCORD_VERIFICATION_KEYS'
              value: '${vault.properties.vaultUri}secrets/patchcord-verification'
            }
            {
              name: 'PATCHCORD_LOG_FORMAT'
              value: 'json'
            }
            {
              name: 'PATCHCORD_LOG_LEVEL'
              value: logLevel
            }
            {
              name: 'PATCHCORD_EVENTS_TOPIC'
              value: topic.properties.endpoint
            }
            {
              name: 'AZURE_CLIENT_ID'
              value: identity.properties.clientId
            }
            {
              name: 'AZURE_ACS_CONN_KEY'
              value: ''
            }
            {
              name: 'ACS_ENDPOINT'
              value: 'https://${acs.properties.hostName}'
            }
            {
              name: 'ACS_RESOURCE_ID'
              value: acs.properties.immutableResourceId
            }
            {
              name: 'ACS_JWT'
              value: 'require'
            }
            {
              name: 'ACS_JWT_ISSUER'
              value: 'https://acscallautomation.communication.azure.com'
            }
            {
              name: 'ACS_JWKS_URL'
              value: 'https://acscallautomation.communication.azure.com/calling/keys'
            }
            {
              name: 'ALLOW_INSECURE_LOCAL'
              value: 'false'
            }
            {
              name: 'CALLBACK_URI_HOST'
              value: 'wss://${mediaAppName}.${hosts.properties.defaultDomain}'
            }
            {
              name: 'MAX_CONCURRENT_CALLS'
              value: string(maxConcurrentCalls)
            }
            {
              name: 'MEDIA_LISTEN_HOST'
              value: '0.0.0.0'
            }
            {
              name: 'MEDIA_LISTEN_PORT'
              value: string(port)
            }
            {
              name: 'MEDIA_CAPACITY'
              value: string(callsPerReplica)
            }
            {
              // What is left of the grace is for the last words and the last writes.
              name: 'MEDIA_DRAIN_S'
              value: string(graceSeconds - 40)
            }
            {
              name: 'MAX_CALL_S'
              value: '10500'
            }
            {
              name: 'MEDIA_PATH_DELAY_MS'
              value: '150'
            }
            {
              name: 'MEDIA_RECORDINGS'
              value: recordings ? folder : 'off'
            }
            {
              name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
              value: insights.properties.ConnectionString
            }
            {
              name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
              value: 'ClientId=${identity.properties.clientId};Authorization=AAD'
            }
            {
              name: 'OTEL_EXPORTER_OTLP_ENDPOINT'
              value: otlpEndpoint
            }
          ])
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/healthz'
                port: port
              }
              periodSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 6
            }
            {
              // Off when the host is full or drains: it gets no new call, and keeps those that it has.
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: port
              }
              periodSeconds: 2
              failureThreshold: 1
            }
          ]
          volumeMounts: recordings ? [
            {
              volumeName: 'recordings'
              mountPath: folder
            }
          ] : []
        }
      ]
      volumes: recordings ? [
        {
          name: 'recordings'
          storageType: 'EmptyDir'
        }
      ] : []
      scale: {
        minReplicas: replicas
        maxReplicas: scaling == 'fixed' ? replicas : max(replicas, maxReplicas)
        cooldownPeriod: 1800
        pollingInterval: 30
        rules: scaling == 'fixed' ? [] : callRules
      }
    }
  }
  dependsOn: [
    secretRoles
  ]
}

output SERVICE_MEDIA_NAME string = app.name
output SERVICE_MEDIA_URI string = 'https://${mediaAppName}.${hosts.properties.defaultDomain}'
