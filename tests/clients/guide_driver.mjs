// Runs beside the modules that the test made of docs/guides/clients.md; prints what it saw as JSON.
//
// good.mjs exports `whole`, and where the client has them `streamed` and `called`. The others throw when they are loaded.
const { whole, streamed, called } = await import("./good.mjs");
const errors = {};
for (const name of ["unauthorized", "not_found", "busy"]) {
  try {
    await import(`./${name}.mjs`);
    errors[name] = ["no error"];
  } catch (error) {
    const status = error.status ?? error.statusCode ?? error.lastError?.statusCode;
    errors[name] = [error.constructor.name, String(status), error.message];
  }
}
console.log(JSON.stringify({ whole, streamed, called, errors }));
process.exit(0);
