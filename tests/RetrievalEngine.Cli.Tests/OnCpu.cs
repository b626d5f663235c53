using System;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

/// <summary>Where a test does not say what to compute on, it is the CPU, also on a machine with a GPU: the expected numbers are float32's.</summary>
[SetUpFixture]
internal sealed class OnCpu
{
    [OneTimeSetUp]
    public void Choose() => Environment.SetEnvironmentVariable(BackendSelection.DeviceVariable, "cpu");
}
