// What one looks at: runs, meetings, limits, webhooks. The content is workbook.json, which a test holds against the metrics.
param location string
param tags object
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'mms-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Meeting Migration Service'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: loadTextContent('../workbook.json')
  }
}
