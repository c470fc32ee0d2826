// Five things wake somebody. Each has its run-book in docs/operations.md; the names of the metrics are held against the code by a test.
param name string
param location string
param tags object
param workspaceId string
param emails array

var rules = [
  {
    name: 'runs-fail'
    title: 'More than one run in ten fails'
    severity: 2
    frequency: 'PT15M'
    window: 'PT1H'
    query: 'AppMetrics | where Name == "mms.runs.ended" | extend state = tostring(Properties["state"]) | summarize failed = sumif(Sum, state == "Failed"), ended = sum(Sum) | where failed >= 5 and failed > 0.1 * ended'
  }
  {
    name: 'messages-poisoned'
    title: 'A queue message was given up'
    severity: 2
    frequency: 'PT5M'
    window: 'PT15M'
    query: 'AppMetrics | where Name == "mms.messages.poisoned" | summarize given = sum(Sum) | where given > 0'
  }
  {
    name: 'requests-overdue'
    title: 'A request has been due for more than 15 minutes and nobody works on it, or the service says nothing at all'
    severity: 1
    frequency: 'PT5M'
    window: 'PT15M'
    query: 'AppMetrics | where Name == "mms.due.oldest" | summarize overdue = min(Sum), said = count() | where overdue > 900 or said == 0'
  }
  {
    name: 'subscription-expires'
    title: 'A subscription ends within 12 hours and was not renewed, or nobody has looked after them for an hour'
    severity: 1
    frequency: 'PT30M'
    window: 'PT1H'
    query: 'AppMetrics | where Name == "mms.subscription.remaining" | summarize arg_max(TimeGenerated, Sum) by kind = tostring(Properties["kind"]) | summarize left = min(Sum), said = count() | where left < 43200 or said == 0'
  }
  {
    name: 'notifications-slow'
    title: 'More than one notification in twenty was answered later than 3 seconds'
    severity: 1
    frequency: 'PT5M'
    window: 'PT10M'
    query: 'AppRequests | where Name in ("graph_notifications", "graph_lifecycle", "events", "activity") | summarize slow = countif(DurationMs > 3000), total = count() | where slow > 0.05 * total'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'mms'
    emailReceivers: [for (email, index) in emails: {
      name: 'person-${index}'
      emailAddress: email
      useCommonAlertSchema: true
    }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: 'mms-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: rule.title
    description: 'See the run-book ${rule.name} in docs/operations.md.'
    severity: rule.severity
    enabled: true
    // The tables are made with their first row: a new workspace would refuse the queries.
    skipQueryValidation: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: rule.frequency
    windowSize: rule.window
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    autoMitigate: true
    actions: {
      actionGroups: [
        people.id
      ]
    }
  }
}]
