// What somebody should be woken for, by e-mail.

import { metricNames } from 'metrics.bicep'

param location string
param tags object
param workspaceId string

@description('The system topic of the ACS resource.')
param callsTopicId string
param emailAddresses array

var fullQuery = join([
  'AppMetrics'
  'where Name in ("${metricNames.active}", "${metricNames.capacity}")'
  'summarize Value = avg(Sum / ItemCount) by Name, AppRoleInstance, bin(TimeGenerated, 5m)'
  'summarize Active = sumif(Value, Name == "${metricNames.active}"), Places = sumif(Value, Name == "${metricNames.capacity}") by TimeGenerated'
  'project TimeGenerated, Value = 100.0 * Active / max_of(Places, 1.0)'
], ' | ')
var rules = [
  {
    name: 'calls-failed'
    text: 'Calls failed, so callers were not served as they should have been.'
    severity: 1
    query: 'AppMetrics | where Name == "${metricNames.failed}" | summarize Value = sum(Sum) by bin(TimeGenerated, 5m)'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'nearly-full'
    text: 'More than 80 % of all places are taken; further callers are redirected or refused soon.'
    severity: 2
    query: fullQuery
    operator: 'GreaterThan'
    threshold: 80
  }
  {
    name: 'no-media-host'
    text: 'No media host has reported for five minutes: nobody can be answered.'
    severity: 0
    query: 'AppMetrics | where Name == "${metricNames.capacity}" | summarize Hosts = dcount(AppRoleInstance) | project Value = Hosts'
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'events-put-aside'
    text: 'Events could not be handled and were put aside; the table `poison` has the reasons.'
    severity: 2
    query: 'AppMetrics | where Name == "${metricNames.poisoned}" | summarize Value = sum(Sum) by bin(TimeGenerated, 5m)'
    operator: 'GreaterThan'
    threshold: 0
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'patchcord'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'patchcord'
    emailReceivers: [for (address, i) in emailAddresses: {
      name: 'email-${i}'
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

resource queries 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: 'patchcord-${rule.name}'
  location: location
  tags: tags
  properties: {
    displayName: 'Patchcord: ${rule.name}'
    description: rule.text
    enabled: true
    severity: rule.severity
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    scopes: [
      workspaceId
    ]
    // The tables exist only after the first telemetry.
    skipQueryValidation: true
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: rule.query
          metricMeasureColumn: 'Value'
          timeAggregation: 'Maximum'
          operator: rule.operator
          threshold: rule.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        people.id
      ]
    }
  }
}]

// An IncomingCall that never arrived is a caller who was not answered.
resource undelivered 'Microsoft.Insights/metricAlerts@2018-03-01' = [for metric in ['DeadLetteredCount', 'DroppedEventCount']: {
  name: 'patchcord-${metric}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Grid gave up on an event of the ACS resource.'
    enabled: true
    severity: 1
    scopes: [
      callsTopicId
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'any'
          criterionType: 'StaticThresholdCriterion'
          metricName: metric
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Total'
        }
      ]
    }
    actions: [
      {
        actionGroupId: people.id
      }
    ]
  }
}]
