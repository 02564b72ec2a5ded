// The endpoints of one deployment: blobs and tables of the storage account, secrets of the vault.

param location string
param tags object

@description('End of the names.')
param token string
param storageAccountId string
param vaultId string
param subnetId string
param networkId string

module blob 'private-endpoint.bicep' = {
  name: 'endpoint-blob'
  params: {
    location: location
    tags: tags
    name: 'pe-blob-${token}'
    targetId: storageAccountId
    groupId: 'blob'
    zoneName: 'privatelink.blob.${environment().suffixes.storage}'
    subnetId: subnetId
    networkId: networkId
  }
}

module table 'private-endpoint.bicep' = {
  name: 'endpoint-table'
  params: {
    location: location
    tags: tags
    name: 'pe-table-${token}'
    targetId: storageAccountId
    groupId: 'table'
    zoneName: 'privatelink.table.${environment().suffixes.storage}'
    subnetId: subnetId
    networkId: networkId
  }
}

module vault 'private-endpoint.bicep' = {
  name: 'endpoint-vault'
  params: {
    location: location
    tags: tags
    name: 'pe-vault-${token}'
    targetId: vaultId
    groupId: 'vault'
    zoneName: 'privatelink.vaultcore.azure.net'
    subnetId: subnetId
    networkId: networkId
  }
}
