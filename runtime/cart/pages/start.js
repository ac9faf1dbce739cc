// Loads the page's parts. Where the cart ended in the middle of that, the page is loaded anew, which then waits for it.
import("./app.js").catch((error) => {
  if (!document.getElementById("starting")) throw error; // it had begun: what went wrong is no missing part
  setTimeout(() => location.reload(), 2000);
});
