// The few secrets that somebody could use: what Graph and the feed repeat, and the keys of scripts that sign.
param name string
param location string
param tags object
param publicNetworkAccess string
param defaultAction string
param principalId string
param workspaceId string
@secure()
param clientState string
@secure()
param activityAuthId string
@secure()
param webhookKeys string

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  // checkov:skip=CKV_AZURE_109: denied with privateNetworking; without it the app resolves its references over the public endpoint
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: defaultAction
    }
  }
}

resource clientStateSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41: no person and no date ends it: rotation is a deployment with a new value (docs/operations.md)
  parent: vault
  name: 'client-state'
  properties: {
    value: clientState
    contentType: 'clientState of the Graph subscriptions'
  }
}

resource activitySecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41: no person and no date ends it: rotation is a deployment with a new value (docs/operations.md)
  parent: vault
  name: 'activity-auth-id'
  properties: {
    value: activityAuthId
    contentType: 'authId of the activity feed webhook'
  }
}

resource webhookSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!empty(webhookKeys)) {
  // checkov:skip=CKV_AZURE_41: no person and no date ends it: rotation is a deployment with a new value (docs/operations.md)
  // checkov:skip=CKV_AZURE_114: it has one; the check does not look into conditional resources
  parent: vault
  name: 'webhook-keys'
  properties: {
    value: webhookKeys
    contentType: 'signing keys of scripts that post events'
  }
}

resource readsSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}

output name string = vault.name
output uri string = vault.properties.vaultUri
