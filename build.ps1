#!/usr/bin/env pwsh
# The one command of this repository; build.sh has the same verbs.
#   ./build.ps1 [build]         compiles everything, with CUDA kernels where nvcc is; leaves the runnable command at out/retrieval
#   ./build.ps1 test [ARGS]     format check, build, all tests; ends with `N passed, N failed, N skipped`; ARGS go to dotnet test (--filter ...)
#   ./build.ps1 demo [ARGS]     build, then `retrieval demo ARGS`: trains, searches and measures on text that every .NET SDK carries
#   ./build.ps1 bench [ARGS]    build, then `retrieval bench ARGS`: every op at the shapes of real models, as a share of what the machine can do
#   ./build.ps1 publish         one self-contained file at out/publish/retrieval that needs no .NET on the machine, tried with an empty PATH
#   ./build.ps1 format          rewrites the sources as .editorconfig wants them
#   ./build.ps1 clean           removes artifacts/ and out/
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
$root = $PSScriptRoot
$solution = "$root/RetrievalEngine.sln"
$cli = "$root/src/RetrievalEngine.Cli"
$results = "$root/artifacts/TestResults"
$exe = if ($env:OS -eq 'Windows_NT') { '.exe' } else { '' }
$env:DOTNET_CLI_TELEMETRY_OPTOUT = $env:DOTNET_NOLOGO = $env:MSBUILDDISABLENODEREUSE = '1'
$env:MSBUILDTERMINALLOGGER = 'off'

function Stop-Build([string]$message, [int]$code) {
  [Console]::Error.WriteLine("build.ps1: $message")
  if ($verb -eq 'test') { Write-Output '0 passed, 1 failed, 0 skipped' }
  exit $code
}

# Runs the action between its name and its time; the first failure ends the script with that name.
function Step([string]$name, [scriptblock]$action) {
  Write-Output "== $name"
  $watch = [Diagnostics.Stopwatch]::StartNew()
  $global:LASTEXITCODE = 0
  try { & $action } catch { Write-Output "$_"; $global:LASTEXITCODE = 1 }
  $seconds = [int]$watch.Elapsed.TotalSeconds
  if ($LASTEXITCODE -ne 0) { Stop-Build "step '$name' failed after $seconds s (exit code $LASTEXITCODE)" $LASTEXITCODE }
  Write-Output "== ${name}: $seconds s"
}

function Assert-Dotnet {
  $dotnet = Get-Command dotnet -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
  if (-not $dotnet -or -not (dotnet --list-sdks | Where-Object { $_ -match '^1\d\.' })) {
    Stop-Build 'the .NET SDK 10 is missing. Windows: winget install Microsoft.DotNet.SDK.10; any system: https://dot.net/download' 2
  }
}

function Invoke-CMake([string]$folder) {
  $to = "$root/artifacts/cmake/$(Split-Path -Leaf $folder)"
  cmake -S "$root/$folder" -B $to | Out-Null
  if ($LASTEXITCODE -eq 0) { cmake --build $to -j ([Environment]::ProcessorCount) }
}

# Kernels are compiled where a compiler for them is; without them the program is complete but for --device cuda, which says what is missing.
function Build-Kernels {
  $cmake = Get-Command cmake -CommandType Application -ErrorAction SilentlyContinue
  if ($cmake -and (cmake -P "$root/cmake/FindNvcc.cmake")) { Invoke-CMake 'kernels'; return }
  Write-Output 'no CUDA kernels in this build: cmake or nvcc is not here; install CMake and the CUDA toolkit 12 (on Debian cmake/get-cuda.sh)'
  if (Test-Path "$root/artifacts/kernels") { Remove-Item -Recurse -Force "$root/artifacts/kernels" }
}

# The driver that runs the kernels on the CPU, for tests.
function Build-Emulator {
  $tools = Get-Command cmake, g++ -CommandType Application -ErrorAction SilentlyContinue
  if ($env:OS -ne 'Windows_NT' -and $tools.Count -ge 2 -and (uname -sm) -eq 'Linux x86_64') { Invoke-CMake 'kernels/emulate'; return }
  Write-Output 'no emulated CUDA driver: it needs cmake and g++ on Linux x86-64'
  if (Test-Path "$root/out/emulate") { Remove-Item -Recurse -Force "$root/out/emulate" }
}

function Build {
  Step 'restore' { dotnet restore $solution -v quiet }
  Step 'kernels' { Build-Kernels }
  Step 'compile' { dotnet build $solution -c Release -v quiet -nologo }
  Step 'out/retrieval' {
    dotnet publish $cli -c Release --no-build -v quiet -nologo -o "$root/out"
    if ($LASTEXITCODE -eq 0) { & "$root/out/retrieval$exe" --version }
  }
}

# Every test project is run, also after a failure; sums and the reasons of skipped tests come from the result files.
function Invoke-Tests([string[]]$arguments) {
  if (Test-Path $results) { Remove-Item -Recurse -Force $results }
  $crashed = $false
  foreach ($project in Get-ChildItem "$root/tests" -Directory -Filter '*.Tests') {
    Write-Output "== test $($project.Name)"
    dotnet test $project.FullName -c Release --no-build -nologo --results-directory $results --logger 'console;verbosity=minimal' --logger "trx;LogFileName=$($project.Name).trx" @arguments
    if ($LASTEXITCODE -ne 0) { $crashed = $true }
  }
  $passed = $failed = $total = 0
  $reasons = foreach ($file in Get-ChildItem $results -Filter '*.trx') {
    [xml]$trx = Get-Content -Raw $file.FullName
    $c = $trx.TestRun.ResultSummary.Counters
    $passed += [int]$c.passed; $total += [int]$c.total
    $failed += [int]$c.failed + [int]$c.error + [int]$c.aborted + [int]$c.timeout
    foreach ($node in $trx.SelectNodes("//*[local-name()='UnitTestResult'][@outcome='NotExecuted']//*[local-name()='Message']")) { $node.InnerText }
  }
  $reasons | Group-Object | ForEach-Object { Write-Output "skipped: $($_.Count) test(s): $($_.Name)" }
  $skipped = $total - $passed - $failed
  # A project that crashed leaves no or fewer results: it counts as one failure more.
  if ($crashed -and $failed -eq 0) { $failed = 1; Write-Output 'a test project ended without saying which test failed: see above' }
  Write-Output "$passed passed, $failed failed, $skipped skipped"
  if ($failed -gt 0) { exit 1 }
}

$verb = if ($args.Count -gt 0) { [string]$args[0] } else { 'build' }
$rest = @($args | Select-Object -Skip 1)
if ($verb -notin 'build', 'test', 'demo', 'bench', 'publish', 'format', 'clean') { Get-Content $PSCommandPath -TotalCount 9 | Select-Object -Skip 1; exit 2 }
if ($verb -ne 'clean') { Assert-Dotnet }
if ($verb -in 'build', 'test', 'demo', 'bench') { Build }
switch ($verb) {
  'test' { Step 'emulated driver' { Build-Emulator }; Step 'format' { dotnet format $solution --verify-no-changes --no-restore }; Invoke-Tests $rest }
  'demo' { & "$root/out/retrieval$exe" demo @rest; exit $LASTEXITCODE }
  'bench' { & "$root/out/retrieval$exe" bench @rest; exit $LASTEXITCODE }
  'publish' {
    Step 'kernels' { Build-Kernels }
    Step 'publish' { dotnet publish $cli -c Release --self-contained --use-current-runtime -p:PublishSingleFile=true -v quiet -nologo -o "$root/out/publish" }
    Step 'run with an empty PATH' { $path = $env:PATH; try { $env:PATH = ''; & "$root/out/publish/retrieval$exe" --version } finally { $env:PATH = $path } }
  }
  'format' { Step 'restore' { dotnet restore $solution -v quiet }; Step 'format' { dotnet format $solution --no-restore } }
  'clean' { Step 'clean' { foreach ($folder in 'artifacts', 'out') { if (Test-Path "$root/$folder") { Remove-Item -Recurse -Force "$root/$folder" } } } }
}
