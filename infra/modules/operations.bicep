// For whoever operates it: the workbook always; alerts and a budget if there is somebody to tell.

param location string
param tags object
param workspaceId string
param callsTopicId string
param emailAddresses array

@description('0: no budget.')
param budgetAmount int
param budgetStart string

module workbook 'workbook.bicep' = {
  name: 'workbook'
  params: {
    location: location
    tags: tags
    workspaceId: workspaceId
  }
}

module alerts 'alerts.bicep' = if (!empty(emailAddresses)) {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    workspaceId: workspaceId
    callsTopicId: callsTopicId
    emailAddresses: emailAddresses
  }
}

module budget 'budget.bicep' = if (budgetAmount > 0 && !empty(emailAddresses)) {
  name: 'budget'
  params: {
    amount: budgetAmount
    contactEmails: emailAddresses
    startDate: budgetStart
  }
}
