// Graph's events by way of Event Grid: allows Graph to make a partner topic here, and sends the topic's events to the app.
param partnerTopicName string
param appName string
param appHost string
param apiAudience string

// Microsoft Graph's registration as a partner: the same in every tenant.
var graphPartner = 'c02e0126-707c-436d-b6a1-175d2748fb58'

resource partners 'Microsoft.EventGrid/partnerConfigurations@2022-06-15' = {
  name: 'default'
  location: 'global'
  properties: {
    partnerAuthorization: {
      defaultMaximumExpirationTimeInDays: 365
      authorizedPartnersList: [
        {
          partnerName: 'MicrosoftGraphAPI'
          partnerRegistrationImmutableId: graphPartner
        }
      ]
    }
  }
}

resource topic 'Microsoft.EventGrid/partnerTopics@2022-06-15' existing = if (!empty(partnerTopicName)) {
  name: partnerTopicName
}

resource subscription 'Microsoft.EventGrid/partnerTopics/eventSubscriptions@2022-06-15' = if (!empty(partnerTopicName)) {
  parent: topic
  name: appName
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: 'https://${appHost}/api/events'
        azureActiveDirectoryTenantId: tenant().tenantId
        azureActiveDirectoryApplicationIdOrUri: apiAudience
        maxEventsPerBatch: 100
        preferredBatchSizeInKilobytes: 512
      }
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
  }
}
