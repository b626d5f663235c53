using BenchmarkDotNet.Running;
using RetrievalEngine.Bench;

switch (args)
{
    case ["training-step", .. string[] rest]:
        TrainingStep.Run(rest);
        break;
    case ["attention", .. string[] rest]:
        AttentionReport.Run(rest);
        break;
    case ["encoder-speed"]:
        EncoderSpeed.Run();
        break;
    default:
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        break;
}
