using System.CommandLine;

namespace RetrievalEngine.Cli;

/// <summary>Options that mean the same in several verbs.</summary>
internal static class CommonOptions
{
    private const int MaxThreads = 1024;

    /// <summary><c>--model DIR</c>.</summary>
    public static Option<string> Model(string description = "Folder of the model (Hugging Face or sentence-transformers layout)") =>
        new("--model", "--model-name-or-path") { Description = description, HelpName = "DIR" };

    /// <summary><c>--adapter DIR</c>.</summary>
    public static Option<string?> Adapter() =>
        new("--adapter", "--lora-name-or-path") { Description = "Folder of a LoRA adapter (PEFT layout) to put on the model", HelpName = "DIR" };

    /// <summary><c>--threads N</c>.</summary>
    public static Option<int> Threads()
    {
        Option<int> option = new("--threads") { Description = "Threads to compute with; 0 for one a core", HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 0 or > MaxThreads) result.AddError($"--threads must lie between 0 and {MaxThreads}");
        });
        return option;
    }

    /// <summary><c>--quiet</c>.</summary>
    public static Option<bool> Quiet() => new("--quiet") { Description = "No progress and no warnings on standard error" };

    /// <summary><c>--json</c>.</summary>
    public static Option<bool> Json(string description = "Print the result as one JSON object") => new("--json") { Description = description };

    /// <summary>A whole number of at least 1, or nothing.</summary>
    public static Option<int?> Count(string name, string description, params string[] aliases)
    {
        Option<int?> option = new(name, aliases) { Description = description, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() < 1) result.AddError($"{name} must be at least 1");
        });
        return option;
    }
}
