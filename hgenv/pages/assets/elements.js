"use strict";

// An element with properties and children; text stays text, whatever it says.
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function say(text) {
  document.getElementById("said").textContent = text;
}

// The answer to a request. An error of the server's is thrown with its words.
async function ask(address, value) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
  const answer = await fetch(address, value === undefined ? {} : post);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

for (const link of document.querySelectorAll("nav a"))
  if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
