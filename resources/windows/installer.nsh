; What the installer of Windows does beside its usual steps. APP_ID and isUpdated come from electron-builder.
; Start at login is an entry that the app made itself, under its id or the name that Electron makes up: removing the program removes it,
; updating keeps it. The data folder stays (electron-builder.yml says why).
!macro customUnInstall
  ${ifNot} ${isUpdated}
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "${APP_ID}"
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "electron.app.${PRODUCT_NAME}"
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run" "${APP_ID}"
  ${endIf}
!macroend
