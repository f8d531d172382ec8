// What a webhook is called.
export const nameOf = ({ description, url }) => description || new URL(url).host;
