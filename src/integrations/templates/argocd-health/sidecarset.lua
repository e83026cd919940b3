-- Health of a SidecarSet for Argo CD (resource.customizations.health.apps.kruise.io_SidecarSet).
-- The check in OpenKruise's documentation reads obj.spec.matchedPods, which does not exist: counters are in status.
-- pillion @VERSION@: `pillion print argocd-health`
local hs = {}
local st = obj.status
local us = (obj.spec ~= nil and obj.spec.updateStrategy) or {}
if st == nil or (st.observedGeneration or 0) < (obj.metadata.generation or 0) then
  hs.status = "Progressing"
  hs.message = "Waiting for the SidecarSet controller to observe the latest generation"
  return hs
end
if us.paused == true then
  hs.status = "Suspended"
  hs.message = "SidecarSet update is paused"
  return hs
end
local matched = st.matchedPods or 0
local updated = st.updatedPods or 0
local readyUpdated = st.updatedReadyPods or 0
if us.type == "NotUpdate" then
  hs.status = "Healthy"
  hs.message = "SidecarSet injects new pods only (updateStrategy.type NotUpdate)"
  return hs
end
-- Kruise rounds the pods that a percentage keeps back up. There is neither `math` nor `string` here: Argo CD opens
-- them only with resource.customizations.useOpenLibs.
local p = us.partition
local hold = tonumber(p) or 0
for percent = 1, 100 do
  if p == percent .. "%" then
    local rest = matched * percent % 100
    hold = (matched * percent - rest) / 100
    if rest > 0 then
      hold = hold + 1
    end
  end
end
if hold > matched then
  hold = matched
end
local want = matched - hold
if updated < want then
  hs.status = "Progressing"
  hs.message = updated .. "/" .. want .. " matched pods updated"
  return hs
end
if readyUpdated < updated then
  hs.status = "Progressing"
  hs.message = readyUpdated .. "/" .. updated .. " updated pods ready"
  return hs
end
if hold > 0 and updated < matched then
  hs.status = "Suspended"
  hs.message = "partition holds " .. hold .. " of " .. matched .. " pods"
  return hs
end
hs.status = "Healthy"
hs.message = updated .. "/" .. matched .. " pods updated"
return hs
