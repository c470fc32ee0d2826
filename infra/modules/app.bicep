// The app on Flex Consumption, its plan, its settings, its place in a network.
param name string
param location string
param tags object
param identityId string
param identityClientId string
param storageName string
param vaultUri string
param applicationInsightsConnection string
param workspaceId string
param apiAudience string
param noticeSender string
param dashboardClientId string
param hasWebhookKeys bool
param cloud string
param alwaysReadyInstances int
param maximumInstances int
param instanceMemoryMiB int
param zoneRedundant bool
param privateNetworking bool
param networkName string

// Written out: what a loop goes through must be known when the deployment starts, and an account's properties are not.
var suffix = environment().suffixes.storage
var settings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: 'https://${storageName}.blob.${suffix}/'
  AzureWebJobsStorage__queueServiceUri: 'https://${storageName}.queue.${suffix}/'
  AzureWebJobsStorage__tableServiceUri: 'https://${storageName}.table.${suffix}/'
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identityClientId}'
  MMS_TRACE_RATIO: '0.2'
  MMS_CLOUD: cloud
  MMS_TENANT_ID: tenant().tenantId
  MMS_API_AUDIENCE: apiAudience
  MMS_IDENTITY_CLIENT_ID: identityClientId
  MMS_PUBLIC_URL: 'https://${name}.${cloud == 'usgov' || cloud == 'usdod' ? 'azurewebsites.us' : cloud == 'china' ? 'chinacloudsites.cn' : 'azurewebsites.net'}'
  MMS_CLIENT_STATE: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/client-state/)'
  MMS_ACTIVITY_AUTH_ID: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/activity-auth-id/)'
  MMS_WEBHOOK_KEYS: hasWebhookKeys ? '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/webhook-keys/)' : ''
  MMS_NOTICE_SENDER: noticeSender
  MMS_DASHBOARD_CLIENT_ID: dashboardClientId
  MMS_TRIGGER_QUEUE: 'mms-triggers'
  MMS_RUN_QUEUE: 'mms-runs'
  MMS_TABLE_PREFIX: 'Mms'
  MMS_RUN_LEASE_SECONDS: '30'
  MMS_FUNCTION_BUDGET_SECONDS: '1500'
  MMS_FIRST_RETRY_SECONDS: '169'
  MMS_SENDING_LIMITS: 'on'
  MMS_DISCOVERY_MAX_AGE_SECONDS: '3600'
  MMS_RECOVERY_SCHEDULE: '*/20 * * * * *'
  MMS_SUBSCRIPTION_SCHEDULE: '0 */15 * * * *'
  MMS_SWEEP_SCHEDULE: '0 0 * * * *'
  MMS_DELTA_SCHEDULE: '0 5-55/10 * * * *'
  MMS_DISCOVERY_SCHEDULE: '0 30 2 * * *'
  MMS_HOUSEKEEPING_SCHEDULE: '0 10 3 * * *'
  MMS_DIGEST_SCHEDULE: '0 0 6 * * *'
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225: a parameter decides; on in environments/production.parameters.json
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_222: Graph, the activity feed and Event Grid post from the internet; every route checks its own proof
  // checkov:skip=CKV_AZURE_17: those callers have no client certificate; they prove themselves by clientState, authId, token or signature
  // checkov:skip=CKV_AZURE_212: Flex Consumption has always-ready instances instead (scaleAndConcurrency)
  // checkov:skip=CKV_AZURE_213: Flex Consumption has no health check path; an alert watches the answers instead
  // checkov:skip=CKV_AZURE_78: Flex Consumption has no FTP and refuses a deployment that names ftpsState
  name: name
  location: location
  tags: union(tags, {
    'azd-service-name': 'api'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: privateNetworking ? resourceId('Microsoft.Network/virtualNetworks/subnets', networkName, 'app') : null
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: 'https://${storageName}.blob.${suffix}/packages'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        alwaysReady: [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
        ]
        instanceMemoryMB: instanceMemoryMiB
        maximumInstanceCount: maximumInstances
        triggers: {
          http: {
            // For Python the default is 1, whatever the memory: every further call of a burst would wait for a cold start.
            // The handlers are async and wait for storage; 16 is the default of the other languages at 2,048 MiB.
            perInstanceConcurrency: 16
          }
        }
      }
    }
    siteConfig: {
      appSettings: [for setting in items(settings): {
        name: setting.key
        value: setting.value
      }]
      minTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
    }
  }
}

// Publishing with a password is off; azd and pipelines deploy with tokens.
resource noPasswordScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

resource noPasswordFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'platform'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FunctionAppLogs'
        enabled: true
      }
    ]
  }
}

output name string = app.name
output host string = app.properties.defaultHostName
