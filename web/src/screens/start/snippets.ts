// The first calls of a new project, ready to be run.

export type Address = { client: string; variable: string; address: string };

/** Return the addresses that clients are given, each with the environment variable that names it. */
export function addresses(url: string): Address[] {
  return [
    { client: "OpenAI’s clients", variable: "OPENAI_BASE_URL", address: `${url}/api/v1` },
    { client: "Anthropic’s clients, Claude Code", variable: "ANTHROPIC_BASE_URL", address: url },
    { client: "Google’s clients", variable: "GOOGLE_GEMINI_BASE_URL", address: url },
    { client: "OpenTelemetry", variable: "OTEL_EXPORTER_OTLP_ENDPOINT", address: url },
  ];
}

export type Snippet = { name: string; title: string; about: string; code: string };

/** Return the snippets for a server, a key, a project and a model of it. */
export function snippets(url: string, key: string, project: string, model: string): Snippet[] {
  // In Python, a placeholder of the key is read from the environment.
  const inPython = key.startsWith("$") ? 'os.environ["AFTERWORD_API_KEY"]' : `"${key}"`;
  const imports = key.startsWith("$") ? "import os\n\n" : "";
  return [
    {
      name: "openai",
      title: "OpenAI client",
      about: "Every call through Afterword is logged by itself, streamed or not. pip install openai",
      code: `${imports}from openai import OpenAI

client = OpenAI(base_url="${url}/api/v1", api_key=${inPython})
response = client.chat.completions.create(
    model="${project}/${model}",
    messages=[{"role": "user", "content": "Good day"}],
)
print(response.choices[0].message.content, response.choices[0].completion_id)`,
    },
    {
      name: "anthropic",
      title: "Anthropic client",
      about: "Every call through Afterword is logged by itself, whatever provider the model has. pip install anthropic",
      code: `${imports}from anthropic import Anthropic

client = Anthropic(base_url="${url}", api_key=${inPython})
message = client.messages.create(
    model="${project}/${model}",
    max_tokens=64,
    messages=[{"role": "user", "content": "Good day"}],
)
print(message.content[0].text, message.completion_id)`,
    },
    {
      name: "python",
      title: "Python",
      about: "Log a completion that was made elsewhere, with labels and feedback. pip install afterword",
      code: `${imports}from afterword import Afterword

client = Afterword(base_url="${url}", api_key=${inPython}, project="${project}")
client.feedback.register_key("CSAT")
logged = client.interactions.create(
    messages=[{"role": "user", "content": "What is the capital of France?"}],
    completion="Paris.",
    model="my-model",
    labels={"env": "prod"},
    feedbacks=[{"metric": "CSAT", "value": 5, "details": "Short and right"}],
)
print(logged.completion_id)`,
    },
    {
      name: "curl",
      title: "curl",
      about: "The same over plain HTTP. Files are imported with: afterword import answers.jsonl",
      code: `curl ${url}/api/v1/interactions \\
  -H "Authorization: Bearer ${key}" \\
  -d '{"project": "${project}", "model": "my-model", "labels": {"env": "prod"},
       "messages": [{"role": "user", "content": "What is the capital of France?"}],
       "completion": "Paris."}'`,
    },
  ];
}
