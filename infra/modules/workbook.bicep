// The picture for operators: answered, failed, time to answer, duration, active calls, delivery failures.

param location string
param tags object
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'patchcord-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Patchcord calls'
    category: 'workbook'
    sourceId: workspaceId
    // It names metrics of metrics.bicep; tests/infra compares the two.
    serializedData: loadTextContent('workbook.json')
  }
}

output workbookId string = workbook.id
