// The whole service in one resource group. Kept to what an independent parser reads, so that it is checked offline.
targetScope = 'subscription'

@description('Name of the environment; part of every resource name and of the resource group.')
@minLength(2)
@maxLength(20)
param environmentName string

@description('Region. It must offer Flex Consumption: az functionapp list-flexconsumption-locations.')
param location string

@description('The audience that callers of the API ask a token for: the client id that infra/rights prints.')
param apiAudience string

@description('Secret that Graph repeats in every notification. Made once by the hook of azure.yaml, kept in Key Vault.')
@secure()
param clientState string

@description('Secret that the Office 365 activity feed repeats in every call. Made and kept likewise.')
@secure()
param activityAuthId string

@description('Signing keys of scripts that post events: [name=]whsec_<base64>, separated by blanks. Empty: none.')
@secure()
param webhookKeys string = ''

@description('The cloud that the tenant is in: endpoints, sign-in and audiences follow from it.')
@allowed([
  'public'
  'gcc'
  'usgov'
  'usdod'
  'china'
])
param cloud string = 'public'

@description('Mailbox from which notices are sent. Empty: none are sent.')
param noticeSender string = ''

@description('App registration (single-page application) that the web page signs in with. Empty: a token is pasted.')
param dashboardClientId string = ''

@description('Instances that always stand ready for HTTP: webhooks must be answered within three seconds.')
@minValue(1)
@maxValue(10)
param alwaysReadyInstances int = 1

@description('Most instances that the service may grow to.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Memory of an instance, in MiB.')
@allowed([
  2048
  4096
])
param instanceMemoryMiB int = 2048

@description('True: storage and Key Vault are reached by private endpoints only, and the app through a network of its own.')
param privateNetworking bool = false

@description('True: storage is kept in three zones, and so is the plan.')
param zoneRedundant bool = false

@description('True: the resource group may receive Graph events through an Event Grid partner topic.')
param eventGridPartner bool = false

@description('Name of the activated partner topic whose events go to the app. Empty until Graph has made it.')
param partnerTopicName string = ''

@description('Who hears of alerts and of the budget: addresses, separated by commas. Owners hear of the budget in any case.')
param alertEmails string = ''

@description('Monthly budget of the resource group, in the currency of the subscription. 0: none.')
param monthlyBudget int = 0

@description('First day of the month in which the budget begins: the current one when it is made, and never changed.')
param budgetStart string = utcNow('yyyy-MM-01')

@description('Days for which logs are kept.')
param logRetentionDays int = 90

var tags = {
  'azd-env-name': environmentName
  application: 'meeting-migration-service'
}
var emails = empty(alertEmails) ? [] : split(alertEmails, ',')
var publicNetworkAccess = privateNetworking ? 'Disabled' : 'Enabled'
var token = toLower(uniqueString(subscription().id, environmentName, location))

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-mms-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-mms-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    name: 'mms-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    name: 'mms-${token}'
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'stmms${token}'
    location: location
    tags: tags
    zoneRedundant: zoneRedundant
    publicNetworkAccess: publicNetworkAccess
    defaultAction: privateNetworking ? 'Deny' : 'Allow'
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-mms-${token}'
    location: location
    tags: tags
    publicNetworkAccess: publicNetworkAccess
    defaultAction: privateNetworking ? 'Deny' : 'Allow'
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    clientState: clientState
    activityAuthId: activityAuthId
    webhookKeys: webhookKeys
  }
}

module endpoints 'modules/endpoints.bicep' = if (privateNetworking) {
  name: 'endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    networkName: 'vnet-mms-${token}'
    subnetName: 'endpoints'
  }
  dependsOn: [
    network
  ]
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-mms-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    vaultUri: vault.outputs.uri
    applicationInsightsConnection: monitoring.outputs.connection
    workspaceId: monitoring.outputs.workspaceId
    apiAudience: apiAudience
    noticeSender: noticeSender
    dashboardClientId: dashboardClientId
    hasWebhookKeys: !empty(webhookKeys)
    cloud: cloud
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstances: maximumInstances
    instanceMemoryMiB: instanceMemoryMiB
    zoneRedundant: zoneRedundant
    privateNetworking: privateNetworking
    networkName: 'vnet-mms-${token}'
  }
  dependsOn: [
    endpoints
  ]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    name: 'mms-${token}'
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    emails: emails
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module events 'modules/events.bicep' = if (eventGridPartner) {
  name: 'events'
  scope: group
  params: {
    partnerTopicName: partnerTopicName
    appName: app.outputs.name
    appHost: app.outputs.host
    apiAudience: apiAudience
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  scope: group
  params: {
    name: 'budget-mms-${environmentName}'
    amount: monthlyBudget
    start: budgetStart
    emails: emails
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = tenant().tenantId
output SERVICE_API_NAME string = app.outputs.name
output MMS_URL string = 'https://${app.outputs.host}/api'
output MMS_API_AUDIENCE string = apiAudience
output MMS_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output MMS_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output MMS_CLOUD string = cloud
