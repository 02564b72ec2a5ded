"""A flow with a step of each kind, for tests of the parts of the IVR."""

from shared.config.document import parse_config

IVR, AGENT, PERSON = "8:acs:r_ivr", "8:acs:r_agent", "+18005550199"

FLOW = """
agents:
  reception: {kind: embedded, dialogue: d.yaml}
ivrs:
  bank:
    identity: "8:acs:r_ivr"
    cognitive_services: https://speech.example
    caller_id: "+18005550000"
    fallback: "+18005550198"
    apology: Sorry.
    start: hello
    steps:
      hello: {kind: say, prompt: "Hello {{ name }}.", next: account}
      account: {kind: collect, prompt: Account?, no_input: Nothing., no_match: Wrong., attempts: 2, variable: account,
                min_digits: 2, max_digits: 8, gave_up: person, next: pin}
      pin: {kind: collect, prompt: {audio: "https://files.example/pin.wav"}, variable: pin, min_digits: 4, max_digits: 4,
            terminator: "", secret: true, gave_up: person, next: mark}
      mark: {kind: set, variables: {copy: "<{{pin}}>", plain: "A{{account}}"}, next: what}
      what: {kind: choice, prompt: What?, variable: wish, gave_up: person, options: {
               balance: {phrases: [my balance, balance], key: "1", next: agent},
               person: {phrases: [a person], key: "2", next: person}}}
      agent: {kind: transfer, to: "8:acs:r_agent", return_step: back}
      special: {kind: transfer, to: "8:acs:r_agent", send: [pin, account], failed: bye}
      back: {kind: return_point, AGENT: person, SYSTEM: sort, otherwise: bye}
      sort: {kind: branch, variable: result, cases: {good: menu}, otherwise: special}
      menu: {kind: choice, prompt: Keys., gave_up: bye, options: {
               again: {key: "1", next: what}, end: {key: "*", next: silent}}}
      person: {kind: transfer, to: "+18005550199"}
      bye: {kind: hang_up, prompt: Goodbye.}
      silent: {kind: hang_up}
routes:
  - {name: front, to: ["+18005550000"], ivr: bank}
"""


def bank(text=FLOW):
    """The flow `bank` of a configuration."""
    return parse_config(text.encode()).ivrs["bank"]
