// For a tenant, on its own side: sends the calls of its ACS resource to our gateway, with its API credentials as secret headers.
//   az deployment group create -g GROUP -f webhook.bicep -p acsName=NAME endpoint=https://…/api/acs-events apiId=… apiSecret=… phoneNumbers=+1…
// It needs EventGrid EventSubscription Contributor on the ACS resource. Nothing else of the tenant is touched.

@description('The tenant\'s ACS resource, in the resource group of this deployment.')
param acsName string

@description('Our address: https://…/api/acs-events')
param endpoint string

@description('What we issued: patchcord credentials create TENANT.')
@secure()
param apiId string

@secure()
param apiSecret string

@description('Header names, if ours are not the usual ones (PATCHCORD_API_ID_HEADER, PATCHCORD_API_SECRET_HEADER).')
param apiIdHeader string = 'api-id'
param apiSecretHeader string = 'api-secret'

@description('E.164 numbers whose calls are meant, comma-separated. Empty: all calls of the resource.')
param phoneNumbers string = ''

param subscriptionName string = 'patchcord'

@description('Storage account for events that could not be delivered, and a container in it. Empty: they are dropped.')
param deadLetterAccountId string = ''
param deadLetterContainer string = 'dead-letters'

var numbers = filter(map(split(phoneNumbers, ','), text => trim(text)), number => !empty(number))

var wrongNumbers = filter(numbers, number => !startsWith(number, '+') || contains(number, ' ') || length(number) < 8 || length(number) > 16)
var byNumber = empty(numbers) ? [] : [
  {
    key: 'data.to.rawId'
    operatorType: 'StringIn'
    values: map(numbers, number => '4:${number}')
  }
]

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: acsName
}

resource calls 'Microsoft.EventGrid/eventSubscriptions@2025-02-15' = {
  name: subscriptionName
  scope: acs
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: endpoint
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
        minimumTlsVersionAllowed: '1.2'
        deliveryAttributeMappings: [
          {
            name: apiIdHeader
            type: 'Static'
            properties: {
              value: apiId
              isSecret: true
            }
          }
          {
            name: apiSecretHeader
            type: 'Static'
            properties: {
              value: apiSecret
              isSecret: true
            }
          }
        ]
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Communication.IncomingCall'
      ]
      advancedFilters: empty(wrongNumbers) ? byNumber : fail('phoneNumbers: each one must be E.164, such as +18005550100')
    }
    retryPolicy: {
      maxDeliveryAttempts: 3
      eventTimeToLiveInMinutes: 1
    }
    deadLetterDestination: empty(deadLetterAccountId) ? null : {
      endpointType: 'StorageBlob'
      properties: {
        resourceId: deadLetterAccountId
        blobContainerName: deadLetterContainer
      }
    }
  }
}
