// Second pass: who listens to which events. Only after the code is deployed, because Event Grid looks for the function (functions.md 4.2):
// by main.bicep with wireEvents, or alone: az deployment group create -g GROUP -f infra/events.bicep -p functionAppName=… (and so on).

@description('Names as main.bicep made them.')
param functionAppName string
param acsTopicName string
param vaultTopicName string
param storageAccountName string
param deadLetterContainer string

@description('E.164 numbers whose calls are ours, comma-separated. Empty: all calls of the resource.')
param phoneNumbers string = ''

@description('Our own ACS identity (8:acs:…), to which calls are moved when a media host must stop. Empty: none.')
param agentIdentity string = ''

@description('Kinds of address, comma-separated: phoneNumber, communicationUser. Empty: all.')
param addressKinds string = ''

var numbers = filter(map(split(phoneNumbers, ','), text => trim(text)), number => !empty(number))
var wrongNumbers = filter(numbers, number => !startsWith(number, '+') || contains(number, ' ') || length(number) < 8 || length(number) > 16)
var kinds = filter(map(split(addressKinds, ','), text => trim(text)), kind => !empty(kind))

// Raw ids as ACS writes them: 4:+1… for a number, 8:acs:… for an identity. Event Grid takes 25 values in all.
var rawIds = concat(map(numbers, number => '4:${number}'), empty(agentIdentity) ? [] : [agentIdentity])
var byAddress = empty(numbers) ? [] : [
  {
    key: 'data.to.rawId'
    operatorType: 'StringIn'
    values: rawIds
  }
]
var byKind = empty(kinds) ? [] : [
  {
    key: 'data.to.kind'
    operatorType: 'StringIn'
    values: kinds
  }
]
var callFilters = empty(wrongNumbers) ? concat(byAddress, byKind) : fail('phoneNumbers: each one must be E.164, such as +18005550100')

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource callsTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: acsTopicName
}

resource secretsTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: vaultTopicName
}

// A ringing telephone: three attempts within the minute, one event at a time, because one failure would repeat the whole batch.
resource incomingCall 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: callsTopic
  name: 'incoming-call'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${site.id}/functions/incoming_call'
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Communication.IncomingCall'
      ]
      advancedFilters: callFilters
    }
    retryPolicy: {
      maxDeliveryAttempts: 3
      eventTimeToLiveInMinutes: 1
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: account.id
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}

// Reporting only: these may come late.
resource lifecycle 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: callsTopic
  name: 'call-lifecycle'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${site.id}/functions/call_lifecycle'
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Communication.CallStarted'
        'Microsoft.Communication.CallEnded'
        'Microsoft.Communication.CallParticipantAdded'
        'Microsoft.Communication.CallParticipantRemoved'
        'Microsoft.Communication.RecordingFileStatusUpdated'
      ]
    }
    retryPolicy: {
      maxDeliveryAttempts: 10
      eventTimeToLiveInMinutes: 240
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: account.id
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}

// Key Vault speaks 30 days before a secret ends; new signing keys are made then.
resource nearExpiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: secretsTopic
  name: 'rotate-signing-keys'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${site.id}/functions/rotate_signing_keys'
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.SecretNearExpiry'
      ]
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: account.id
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}

output PATCHCORD_EVENTS_WIRED string = incomingCall.name
