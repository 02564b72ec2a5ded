// Optional: both processes in a network of our own; storage and Key Vault answer there only. ACS must still reach both from outside.

param location string
param tags object
param name string

@description('A private /16; the subnets below are cut from it.')
param addressPrefix string

// No underscore in these names: Flex Consumption refuses it. The delegation is the same for both platforms.
var functionsSubnet = 'functions'
var mediaSubnet = 'media'
var endpointsSubnet = 'endpoints'

resource network 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: functionsSubnet
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 0)
          delegations: [
            {
              name: 'functions'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: mediaSubnet
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 23, 1)
          delegations: [
            {
              name: 'media'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: endpointsSubnet
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 4)
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

output networkId string = network.id
output functionsSubnetId string = resourceId('Microsoft.Network/virtualNetworks/subnets', network.name, functionsSubnet)
output mediaSubnetId string = resourceId('Microsoft.Network/virtualNetworks/subnets', network.name, mediaSubnet)
output endpointsSubnetId string = resourceId('Microsoft.Network/virtualNetworks/subnets', network.name, endpointsSubnet)
