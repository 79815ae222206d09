"""A teams file under test: two teams whose receivers are webhooks on one address."""

TEXT = """
default: airline
heartbeat: {webhook_configs: [{url: "SINK/heartbeat", send_resolved: false}]}
times:
  always: [{location: UTC}]
  office: [{weekdays: ["monday:friday"], times: ["08:00-18:00"], location: Europe/Berlin}]
teams:
  airline:
    pager: {webhook_configs: [{url: "SINK/airline-pager"}]}
    chat: {webhook_configs: [{url: "SINK/airline-chat"}]}
    tickets: {webhook_configs: [{url: "SINK/airline-tickets"}]}
    mute_tickets: [always]
  risk:
    pager: {webhook_configs: [{url: "SINK/risk-pager"}]}
    escalation: {webhook_configs: [{url: "SINK/risk-manager"}]}
    mail: {email_configs: [{to: risk@example.org}]}
    ticket_hours: office
    mute_pages: [always]
settings: {smtp_smarthost: "127.0.0.1:25", smtp_from: tidegate@example.org}
"""


def teams_text(sink: str = "http://127.0.0.1:9") -> str:
    return TEXT.replace("SINK", sink)
