#Requires -Version 5.1
# Makes the VPN connection "My VPN" to "vpn.example.org", for the user who runs it. An older one of
# the same name is replaced. Windows 10 and later:
#   powershell -ExecutionPolicy Bypass -File vpn-example-org.ps1
$ErrorActionPreference = 'Stop'
if (Get-VpnConnection -Name "My VPN" -ErrorAction SilentlyContinue) {
    Remove-VpnConnection -Name "My VPN" -Force
}
# Eap without further settings is EAP-MSCHAPv2: user name and password.
Add-VpnConnection -Name "My VPN" -ServerAddress "vpn.example.org" -TunnelType Ikev2 -AuthenticationMethod Eap -EncryptionLevel Maximum -RememberCredential -SplitTunneling:$true -DnsSuffix "corp.example.org" -Force
# Without this, Windows proposes modp1024 only.
Set-VpnConnectionIPsecConfiguration -ConnectionName "My VPN" -AuthenticationTransformConstants GCMAES256 -CipherTransformConstants GCMAES256 -EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP256 -PfsGroup None -Force
Add-VpnConnectionRoute "My VPN" 10.0.0.0/8
Add-VpnConnectionRoute "My VPN" fd00::/8

# What follows concerns the whole machine.
$identity = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()
if ($identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    # The gateway's own authority, "CN=Example Root":
    $file = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName() + '.cer')
    [IO.File]::WriteAllBytes($file, [Convert]::FromBase64String('YW4gYXV0aG9yaXR5J3MgY2VydGlmaWNhdGU='))
    Import-Certificate -FilePath $file -CertStoreLocation Cert:\LocalMachine\Root | Out-Null
    Remove-Item -LiteralPath $file
    Get-DnsClientNrptRule | Where-Object Comment -EQ "VPN vpn.example.org" | Remove-DnsClientNrptRule -Force
    Add-DnsClientNrptRule -Namespace ".corp.example.org" -NameServers "10.0.0.53","fd00::53" -Comment "VPN vpn.example.org"
    Add-DnsClientNrptRule -Namespace ".lab.example.org" -NameServers "10.0.0.53","fd00::53" -Comment "VPN vpn.example.org"
} elseif (-not (Test-Path -LiteralPath 'Cert:\LocalMachine\Root\E2FC7B0388FB562F74EBF47457E0A0ED56892DF1')) {
    Write-Warning 'Not complete: run this script once as administrator.'
}

# To connect from here: rasdial "My VPN" "alice" *
