// Optional: tells somebody before the month costs more than it should. It stops nothing.

@description('In the currency of the subscription, a month.')
param amount int
param contactEmails array

@description('First day of the first month. Keep it once the budget is made (PATCHCORD_BUDGET_START).')
param startDate string = ''
param thisMonth string = utcNow('yyyy-MM-01')

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: 'patchcord'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: empty(startDate) ? thisMonth : startDate
    }
    notifications: {
      near: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: contactEmails
      }
      foreseen: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: contactEmails
      }
    }
  }
}
