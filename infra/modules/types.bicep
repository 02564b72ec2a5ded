// The only file with types of our own (functions.md 5: user types in one place, so that every parser follows).

@export()
@description('What people sign in with when they deploy: decides how their roles are assigned.')
type principalKind = 'User' | 'ServicePrincipal' | 'Group'

@export()
@description('none: the agents live elsewhere (or are embedded). openAI: Azure OpenAI. foundry: AI Services, with Voice Live and speech for ACS.')
type agentService = 'none' | 'openAI' | 'foundry'

@export()
@description('fixed: always the same number of media hosts. activeCalls: by the number of calls that they report themselves.')
type mediaScaling = 'fixed' | 'activeCalls'

@export()
@description('One model deployment.')
type modelDeployment = {
  name: string
  model: string
  version: string
  sku: string
  capacity: int
}
