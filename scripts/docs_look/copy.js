// A button on each piece of code copies it. Of a console, the commands without their prompt, and not what they print.

const PROMPT = "$ ";
const SAID_MS = 1500;

/** Give every piece of code its button. */
export function offerCopies() {
  if (!navigator.clipboard) return;
  for (const code of document.querySelectorAll(".code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain small";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(wanted(code));
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = "Copy";
      }, SAID_MS);
    });
    code.append(button);
  }
}

/** @param {Element} code */
function wanted(code) {
  const text = code.querySelector("code")?.textContent ?? "";
  const lines = text.split("\n");
  const commands = lines.filter((line) => line.startsWith(PROMPT));
  return commands.length ? commands.map((line) => line.slice(PROMPT.length)).join("\n") : text;
}
