/**
 * Home of the documentation, with a slash at the end: error messages, the help of commands and the dashboard lead there. It
 * is not published yet, and the name one that leads nowhere (RFC 2606); `homepage` of every package is the same.
 */
export const DOCS_ADDRESS = 'https://millrace.example/'
