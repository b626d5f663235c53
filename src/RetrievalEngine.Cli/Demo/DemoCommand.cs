using System.CommandLine;

namespace RetrievalEngine.Cli.Demo;

/// <summary>The verb <c>demo</c>.</summary>
internal static class DemoCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create() => new("demo", "Watch a small language model become a retriever on text that every .NET SDK carries.") { DemoDataCommand.Create() };
}
