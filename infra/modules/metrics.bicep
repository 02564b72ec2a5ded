// The metrics that alerts, the workbook and scaling ask for, by the names that shared/telemetry gives them.

@export()
var metricNames = {
  active: 'patchcord.calls.active'
  answered: 'patchcord.calls.answered'
  capacity: 'patchcord.calls.capacity'
  duration: 'patchcord.call.duration'
  failed: 'patchcord.calls.failed'
  poisoned: 'patchcord.events.poisoned'
  refused: 'patchcord.calls.refused'
  timeToAnswer: 'patchcord.call.time_to_answer'
}
