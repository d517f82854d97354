#Requires -Version 5.1
# Makes the VPN connection "My VPN" to "vpn.example.org", for the user who runs it. An older one of
# the same name is replaced. Windows 10 and later:
#   powershell -ExecutionPolicy Bypass -File vpn-example-org.ps1
$ErrorActionPreference = 'Stop'
if (Get-VpnConnection -Name "My VPN" -ErrorAction SilentlyContinue) {
    Remove-VpnConnection -Name "My VPN" -Force
}
# Eap without further settings is EAP-MSCHAPv2: user name and password.
Add-VpnConnection -Name "My VPN" -ServerAddress "vpn.example.org" -TunnelType Ikev2 -AuthenticationMethod Eap -EncryptionLevel Maximum -RememberCredential -SplitTunneling:$false -Force
# Without this, Windows proposes modp1024 only.
Set-VpnConnectionIPsecConfiguration -ConnectionName "My VPN" -AuthenticationTransformConstants GCMAES256 -CipherTransformConstants GCMAES256 -EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP256 -PfsGroup None -Force
# Windows makes no IPv6 default route of its own. The same for all connections of this
# name, as administrator and for Windows before 8.1:
#   netsh interface ipv6 add route ::/0 "My VPN"
Add-VpnConnectionRoute "My VPN" ::/1
Add-VpnConnectionRoute "My VPN" 8000::/1

# To connect from here: rasdial "My VPN" "alice" *
