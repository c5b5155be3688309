# One image, three processes: docker-compose.yml names the one to run.
# Debian, because TypeScript's and Node's packages are built for its C library.
FROM node:24-bookworm-slim AS build
WORKDIR /redress
COPY package.json package-lock.json .npmrc ./
# Optional packages are the database and the Node of development.
RUN npm ci --omit=optional --ignore-scripts
COPY tsconfig.json ./
COPY apps apps
COPY libs libs
COPY scripts scripts
COPY test test
RUN node node_modules/typescript/bin/tsc -b

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /redress
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force
COPY --from=build /redress/dist/apps dist/apps
COPY --from=build /redress/dist/libs dist/libs
USER node
EXPOSE 3000
# As process 1, so that SIGTERM reaches it and it drains.
CMD ["node", "dist/apps/api/src/main.js"]
