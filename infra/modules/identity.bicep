// Two identities, because the two processes may do different things: only the function app reads the private signing keys.

param location string
param tags object
param functionsName string
param mediaName string

resource functions 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: functionsName
  location: location
  tags: tags
}

resource media 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: mediaName
  location: location
  tags: tags
}

output functionsPrincipalId string = functions.properties.principalId
output mediaPrincipalId string = media.properties.principalId
